import type { Flag } from 'mproxy-base';
import { type About, flagGroups } from 'mproxy-command';
import { namesOf, valuesOf } from './values.js';

/** Completions for bash 4 and later. */
export function bashCompletions(about: About): string {
  const { name } = about;
  const flags = flagGroups(about).flatMap(([, group]) => group);
  const call = `_${name.replaceAll('-', '_')}`;
  return `# bash completion for ${name}

${call}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} words
  local flags='${flags.flatMap(namesOf).join(' ')}'
  # COMP_WORDBREAKS makes words of = and of :.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
    flags=
  elif [[ $prev == : ]]; then
    flags=
  fi
  COMPREPLY=()
  case $prev in
${flags.map(valueCase).join('')}    *) words=$flags ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F ${call} ${name}
`;
}

function valueCase(flag: Flag): string {
  const values = valuesOf(flag);
  // With an optional value, the next word may be a flag.
  const orFlags = flag.optional ? ' $flags' : '';
  const does: Record<typeof values.kind, string> = {
    none: '',
    text: flag.optional ? 'words=$flags' : 'return',
    file: 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return',
    interface: 'words=$(ls /sys/class/net 2>/dev/null)',
    words: values.kind === 'words' ? `words="${values.words.join(' ')}${orFlags}"` : '',
  };
  return does[values.kind] && `    ${flag.name}) ${does[values.kind]} ;;\n`;
}
