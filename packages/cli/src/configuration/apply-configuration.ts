import { InvalidArgumentError } from "commander";
import type { Command, Option } from "commander";
import type { Setting } from "./configuration-file.ts";

/**
 * Gives a command that was parsed what the file of `--config` says and its command line does not: a flag takes the place
 * of its key, also of one that lists several. Arguments of the command line take the place of those of the file, all of
 * them where the last one takes several. Does nothing without `--config`.
 * @returns the arguments of the command, in their order; undefined for those that nothing says.
 * Errors: BAD_CONFIGURATION; CommanderError where an argument is missing.
 */
export async function applyConfiguration(command: Command): Promise<readonly unknown[]> {
  const { config } = command.opts<{ readonly config?: string }>();
  const settings = config === undefined ? NO_SETTINGS : await settingsIn(config, command);
  for (const setting of settings.values()) {
    const { target } = setting.key;
    if (target.kind !== "option") continue;
    const attribute = target.option.attributeName();
    if (command.getOptionValueSource(attribute) === "cli") continue;
    command.setOptionValueWithSource(attribute, optionValue(target.option, setting), "config");
  }
  return argumentsOf(command, settings);
}

const NO_SETTINGS: ReadonlyMap<string, Setting> = new Map();

/** What reads TOML is loaded where there is some: it would take a tenth of each start. */
async function settingsIn(path: string, command: Command): Promise<ReadonlyMap<string, Setting>> {
  const [{ readConfiguration }, { configurationKeys }] = await Promise.all([
    import("./configuration-file.ts"),
    import("./configuration-keys.ts"),
  ]);
  return readConfiguration(path, configurationKeys(command), nameOf(command));
}

/** What the parser would have made of the flag. Errors: BAD_CONFIGURATION. */
function optionValue(option: Option, setting: Setting): unknown {
  const { value } = setting;
  if (typeof value === "boolean") return value ? true : option.negate ? false : undefined;
  let result: unknown;
  for (const [place, text] of value.entries()) {
    try {
      result = option.parseArg === undefined ? text : option.parseArg(text, result);
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      throw setting.refuse(error.message, value.length > 1 ? place : undefined);
    }
  }
  return result;
}

function argumentsOf(command: Command, settings: ReadonlyMap<string, Setting>): readonly unknown[] {
  const given = command.args.length;
  return command.registeredArguments.map((argument, place) => {
    // Others belong to the program that the command line names.
    if (place < given || (argument.variadic && given > 0)) return command.processedArgs[place] as unknown;
    const setting = Array.from(settings.values()).find(
      ({ key: { target } }) => target.kind === "argument" && target.argument === argument,
    );
    if (setting === undefined) {
      if (argument.variadic) return [];
      return command.error(`error: missing required argument '${argument.name()}'`);
    }
    return argument.variadic ? setting.value : (setting.value as readonly string[])[0];
  });
}

/** As it is typed. */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}
