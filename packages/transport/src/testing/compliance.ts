import { describe } from "vitest";
import { channelsThatAnswer } from "./answers.ts";
import { everyChannel } from "./every-channel.ts";
import type { TransportFixture, TransportTraits } from "./fixture.ts";
import { channelsThatDoNotGather, gatheringChannels } from "./gathering-channels.ts";
import { listeners } from "./listeners.ts";
import { liveChannels } from "./live-channels.ts";
import { channelsThatDoNotScatter, scatteringChannels } from "./scattering-channels.ts";
import { silentChannels } from "./silent-channels.ts";

/** What every transport must do, whatever is below it: the part that all have in common, and those of its kind. */
export function transportCompliance(
  name: string,
  traits: TransportTraits,
  factory: () => Promise<TransportFixture>,
): void {
  describe(`${name} as a transport`, () => {
    everyChannel(traits, factory);
    if (traits.medium !== "file") liveChannels(traits, factory);
    if (traits.medium === "connection") channelsThatAnswer(traits, factory);
    else silentChannels(factory);
    if (traits.gathers === true) gatheringChannels(traits, factory);
    else channelsThatDoNotGather(factory);
    if (traits.scatters === true) scatteringChannels(factory);
    else channelsThatDoNotScatter(factory);
    if (traits.listens) listeners(factory);
  });
}
