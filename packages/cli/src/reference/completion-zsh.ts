import type { CommandShape, OptionShape } from "./command-shape.ts";
import type { CompletionModel, Offer } from "./completion-model.ts";
import { flagsOf } from "./completion-model.ts";

const HELPERS = String.raw`# Completion of peregrine for zsh: source <(peregrine completion zsh), or this as _peregrine in a directory of $fpath

# The guests of this user, by the sockets of their agents.
_peregrine_guests() {
  local directory=${"$"}{PEREGRINE_RUNTIME_DIR:-${"$"}{XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/peregrine}}
  local -a names
  names=("${"$"}{directory:-/tmp/peregrine-$UID}"/*.sock(N=:t:r))
  _describe -t guests guest names
}
`;

/** A script for zsh 5. */
export function zshCompletion({ commands, daemons, offer }: CompletionModel): string {
  const names = commands.map(
    ({ name, description }) => `    ${quoted(`${name}:${firstSentence(description)}`)}`,
  );
  return `#compdef peregrine ${Object.keys(daemons).join(" ")}
${HELPERS}
_peregrine_command() {
  case $1 in
${commands.map((command) => commandCase(command, offer)).join("\n")}
  esac
}

_peregrine() {
  local curcontext=$curcontext state line
  local -a names
  case \${service:-peregrine} in
${Object.entries(daemons)
  .map(([daemon, command]) => `    ${daemon}) _peregrine_command ${command}; return ;;`)
  .join("\n")}
  esac
  names=(
${names.join("\n")}
  )
  _arguments -C '(- *)'{-h,--help}'[display help]' '(- *)'{-V,--version}'[output the version]' '1: :->command' '*:: :->arguments'
  case $state in
    command) _describe -t commands command names ;;
    arguments) _peregrine_command $words[1] ;;
  esac
}

if [[ $funcstack[1] == _peregrine ]]; then _peregrine "$@"
else compdef _peregrine ${["peregrine", ...Object.keys(daemons)].join(" ")}; fi
`;
}

function commandCase(command: CommandShape, offer: CompletionModel["offer"]): string {
  const specs = [
    ...command.options.map((option) => optionSpec(command, option, offer)),
    ...command.arguments.map((argument, index) => {
      const place = argument.variadic ? "*" : String(index + 1);
      const optional = argument.required || argument.variadic ? ":" : "::";
      return quoted(`${place}${optional}${escaped(argument.name)}:${offered(offer(command, argument))}`);
    }),
  ];
  return `    ${command.name})
      _arguments -s -S \\
${specs.map((spec) => `        ${spec}`).join(" \\\n")}
      ;;`;
}

function optionSpec(command: CommandShape, option: OptionShape, offer: CompletionModel["offer"]): string {
  const flags = flagsOf(option);
  const star = option.repeatable ? "*" : "";
  const text = `[${escaped(option.description)}]`;
  const { value } = option;
  const action = value === undefined ? "" : `:${escaped(value.name)}:${offered(offer(command, value))}`;
  // An optional value is joined by `=`, a needed one follows or is joined.
  const joins = value === undefined ? "" : value.required ? "=" : "=-";
  const specs = flags.map((flag) => {
    const join = flag.startsWith("--") ? joins : value === undefined ? "" : "+";
    const optional = value === undefined || value.required ? action : `:${action}`;
    return quoted(`${star}${flag}${join}${text}${optional}`);
  });
  return specs.join(" ");
}

function offered(offer: Offer): string {
  switch (offer.kind) {
    case "words":
      return `(${offer.words.join(" ")})`;
    case "schemes":
      return `compadd -S "" -- ${offer.words.map(escaped).join(" ")}`;
    case "guests":
      return "_peregrine_guests";
    case "files":
      return "_files";
    case "directories":
      return "_files -/";
    case "modules":
      return `_files -g "*.wasm"`;
    default:
      return " ";
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[[\]:\\]/gu, String.raw`\$&`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function firstSentence(text: string): string {
  return text.split(/(?<=\.) /u)[0]!.replaceAll(":", String.raw`\:`);
}
