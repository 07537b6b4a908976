import type { CommandShape } from "./command-shape.ts";
import type { CompletionModel, Offer } from "./completion-model.ts";
import { flagsOf, takingNextWord } from "./completion-model.ts";

const HELPERS = String.raw`# Completion of peregrine for fish: peregrine completion fish | source

# The guests of this user, by the sockets of their agents.
function __peregrine_guests
    set -l directory /tmp/peregrine-(id -u)
    test -n "$XDG_RUNTIME_DIR"; and set directory $XDG_RUNTIME_DIR/peregrine
    test -n "$PEREGRINE_RUNTIME_DIR"; and set directory $PEREGRINE_RUNTIME_DIR
    for socket in $directory/*.sock
        test -S $socket; and string replace -r '.*/(.*)\.sock$' '$1' $socket
    end
end

function __peregrine_modules
    set -l token (commandline -ct)
    for path in $token*.wasm $token*/
        echo $path
    end
end
`;

/** A script for fish 3. */
export function fishCompletion({ commands, daemons, offer }: CompletionModel): string {
  const takes = commands.flatMap((command) =>
    takingNextWord(command).flatMap((option) => flagsOf(option).map((flag) => `'${command.name} ${flag}'`)),
  );
  const programs = ["peregrine", ...Object.keys(daemons)];
  const first = commands.map(
    ({ name, description }) =>
      `complete -c peregrine -n '__peregrine_at "" 0' -f -a ${name} -d ${quoted(description.split(/(?<=\.) /u)[0]!)}`,
  );
  return `${HELPERS}
# Whether the words before the cursor name the command $argv[1] and so many of its arguments as $argv[2] says; + is any.
function __peregrine_at
    set -l takes ${takes.join(" ")}
    set -l words (commandline -opc)
    set -l command ""
    switch (basename -- $words[1])
${Object.entries(daemons)
  .map(([daemon, command]) => `        case ${daemon}\n            set command ${command}`)
  .join("\n")}
    end
    set -l position 0
    set -l skip 0
    set -l ended 0
    for word in $words[2..]
        if test $skip = 1
            set skip 0
        else if test $ended = 1
            set position (math $position + 1)
        else if test "$word" = --
            set ended 1
        else if contains -- "$command $word" $takes
            set skip 1
        else if string match -q -- '-*' $word
            continue
        else if test -z "$command"
            set command $word
        else
            set position (math $position + 1)
        end
    end
    test "$command" = "$argv[1]"; and test "$argv[2]" = + -o "$argv[2]" = $position
end

${programs.map((program) => `complete -c ${program} -f`).join("\n")}
complete -c peregrine -n '__peregrine_at "" 0' -s h -l help -d 'display help'
complete -c peregrine -n '__peregrine_at "" 0' -s V -l version -d 'output the version'
${first.join("\n")}
${commands.flatMap((command) => commandLines(command, programsOf(command, daemons), offer)).join("\n")}
`;
}

function programsOf({ name }: CommandShape, daemons: CompletionModel["daemons"]): string[] {
  return ["peregrine", ...Object.keys(daemons).filter((daemon) => daemons[daemon] === name)];
}

function commandLines(
  command: CommandShape,
  programs: readonly string[],
  offer: CompletionModel["offer"],
): string[] {
  const programFlags = programs.map((program) => `-c ${program}`).join(" ");
  const options = command.options.map((option) => {
    const flags = [
      ...(option.long === undefined ? [] : [`-l ${option.long.slice(2)}`]),
      ...(option.short === undefined ? [] : [`-s ${option.short.slice(1)}`]),
    ].join(" ");
    const { value } = option;
    const taken =
      value === undefined ? "" : ` ${value.required ? "-r " : ""}${offered(offer(command, value))}`;
    return `complete ${programFlags} -n '__peregrine_at ${command.name} +' ${flags}${taken} -d ${quoted(option.description)}`;
  });
  const places = command.arguments.map((argument, index) => {
    const place = argument.variadic ? "+" : String(index);
    return `complete ${programFlags} -n '__peregrine_at ${command.name} ${place}' ${offered(offer(command, argument))}`;
  });
  return [...options, ...places];
}

function offered(offer: Offer): string {
  switch (offer.kind) {
    case "words":
    case "schemes":
      return `-f -a ${quoted(offer.words.join(" "))}`;
    case "guests":
      return "-f -a '(__peregrine_guests)'";
    case "files":
      return "-F";
    case "directories":
      return "-f -a '(__fish_complete_directories)'";
    case "modules":
      return "-f -a '(__peregrine_modules)'";
    default:
      return "-f";
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`;
}
