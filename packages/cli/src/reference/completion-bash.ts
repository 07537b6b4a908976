import type { CommandShape } from "./command-shape.ts";
import type { CompletionModel, Offer } from "./completion-model.ts";
import { flagsOf, takingNextWord } from "./completion-model.ts";

/** Everything that does not depend on the commands. */
const HELPERS = String.raw`# Completion of peregrine for bash: source <(peregrine completion bash)

_peregrine_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2"); }

_peregrine_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

_peregrine_modules() {
  local path
  _peregrine_files -f "$1"
  local found=("${"$"}{COMPREPLY[@]}")
  COMPREPLY=()
  for path in "${"$"}{found[@]}"; do
    if [[ -d $path || $path == *.wasm ]]; then COMPREPLY+=("$path"); fi
  done
}

# The guests of this user, by the sockets of their agents.
_peregrine_guests() {
  local directory=${"$"}{PEREGRINE_RUNTIME_DIR:-${"$"}{XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/peregrine}} socket names=()
  for socket in "${"$"}{directory:-/tmp/peregrine-$UID}"/*.sock; do
    if [[ -S $socket ]]; then
      socket=${"$"}{socket##*/}
      names+=("${"$"}{socket%.sock}")
    fi
  done
  _peregrine_words "${"$"}{names[*]}" "$1"
}

_peregrine_schemes() {
  compopt -o nospace 2>/dev/null
  _peregrine_words "$1" "$2"
}
`;

/** A script for bash 4 and later. */
export function bashCompletion({ commands, daemons, offer }: CompletionModel): string {
  const takes = commands.flatMap((command) => {
    const flags = takingNextWord(command).flatMap(flagsOf);
    return flags.length === 0
      ? []
      : [`    ${flags.map((flag) => `"${command.name} ${flag}"`).join(" | ")}) ;;`];
  });
  return `${HELPERS}
_peregrine_takes() {
  case "$1 $2" in
${takes.join("\n")}
    *) return 1 ;;
  esac
}

_peregrine() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev= command= position=0 end= i word
  COMPREPLY=()
  case \${COMP_WORDS[0]##*/} in
${Object.entries(daemons)
  .map(([daemon, command]) => `    ${daemon}) command=${command} ;;`)
  .join("\n")}
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    prev=
    if [[ -n $end ]]; then ((position++))
    elif [[ $word == -- ]]; then end=yes
    elif [[ \${COMP_WORDS[i + 1]} == = ]]; then
      if ((i + 1 == COMP_CWORD)); then prev=$word
      elif ((i + 2 == COMP_CWORD)); then prev=$word; ((i++))
      else ((i += 2)); fi
    elif _peregrine_takes "$command" "$word"; then
      if ((i + 1 == COMP_CWORD)); then prev=$word; else ((i++)); fi
    elif [[ $word == -* ]]; then :
    elif [[ -z $command ]]; then command=$word
    elif [[ \${COMP_WORDS[i - 1]} == : || $word == : ]]; then :
    else ((position++)); fi
  done
  if [[ $cur == = ]]; then cur=; fi
  # Bash takes an address apart at its colons.
  if [[ $cur == : || \${COMP_WORDS[COMP_CWORD - 1]} == : ]]; then
    if [[ $cur == : ]]; then cur= word=\${COMP_WORDS[COMP_CWORD - 1]}
    else word=\${COMP_WORDS[COMP_CWORD - 2]}; fi
    case $word in file | unix) _peregrine_files -f "$cur" ;; esac
    return
  fi
  case $command in
    '') _peregrine_words "${commands.map(({ name }) => name).join(" ")} --help --version" "$cur" ;;
${commands.map((command) => commandCase(command, offer)).join("\n")}
  esac
}

complete -F _peregrine ${["peregrine", ...Object.keys(daemons)].join(" ")}
`;
}

function commandCase(command: CommandShape, offer: CompletionModel["offer"]): string {
  const flags = command.options.flatMap(flagsOf);
  const values = command.options.flatMap((option) =>
    option.value === undefined
      ? []
      : [`        ${flagsOf(option).join(" | ")}) ${offered(offer(command, option.value))}; return ;;`],
  );
  const places = command.arguments.map((argument, index) => {
    const place = argument.variadic ? "*" : String(index);
    return `        ${place}) ${offered(offer(command, argument))} ;;`;
  });
  return `    ${command.name})
      case $prev in
${values.join("\n")}
        '') ;;
      esac
      if [[ $cur == -* && -z $end ]]; then
        _peregrine_words "${flags.join(" ")}" "$cur"
        return
      fi
      case $position in
${places.join("\n")}
        -) ;;
      esac
      ;;`;
}

function offered(offer: Offer): string {
  switch (offer.kind) {
    case "words":
      return `_peregrine_words "${offer.words.join(" ")}" "$cur"`;
    case "schemes":
      return `_peregrine_schemes "${offer.words.join(" ")}" "$cur"`;
    case "guests":
      return `_peregrine_guests "$cur"`;
    case "files":
      return `_peregrine_files -f "$cur"`;
    case "directories":
      return `_peregrine_files -d "$cur"`;
    case "modules":
      return `_peregrine_modules "$cur"`;
    default:
      return ":";
  }
}
