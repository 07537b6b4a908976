import type { CapabilityName, ParameterName } from "@peregrine/shared-state";
import type { SendOptions } from "./command-options.ts";
import { tlsParameters } from "./tls-options.ts";

/** What a migration has to be set to. */
export interface SendSettings {
  readonly capabilities: { readonly [N in CapabilityName]?: boolean };
  readonly parameters: { readonly [N in ParameterName]?: unknown };
}

/** The capabilities and parameters that stand for the options of a command. */
export function settingsOf(options: SendOptions): SendSettings {
  const { bandwidth, downtime, xbzrle, xbzrleCache, autoConverge, mappedRam } = options;
  const { channels, compression, returnPath } = options;
  return {
    capabilities: {
      xbzrle,
      "auto-converge": autoConverge,
      multifd: channels > 0,
      "return-path": returnPath,
      "mapped-ram": mappedRam,
    },
    parameters: {
      "max-bandwidth": bandwidth,
      ...(downtime === undefined ? {} : { "downtime-limit": downtime }),
      ...(xbzrleCache === undefined ? {} : { "xbzrle-cache-size": xbzrleCache }),
      ...(channels === 0 ? {} : { "multifd-channels": channels, "multifd-compression": compression }),
      ...tlsParameters(options.tls),
    },
  };
}
