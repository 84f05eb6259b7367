import { type About, type Flag, flagGroups } from 'mproxy-command';
import { namesOf, valuesOf } from './values.js';

/** Completions for zsh: one line of _arguments (zshcompsys(1)) a flag. */
export function zshCompletions(about: About): string {
  const flags = flagGroups(about).flatMap(([, group]) => group);
  return `#compdef ${about.name}

_arguments -s \\
${flags.map((flag) => `  ${argument(flag)}`).join(' \\\n')}
`;
}

function argument(flag: Flag): string {
  const names = namesOf(flag);
  // =- wants the = : the next word may be a flag, where the value may be left out.
  const takes = flag.value === undefined ? '' : flag.optional ? '=-' : '=';
  const text = `[${flag.help.replace(/[[\]\\]/g, '\\$&')}]${value(flag)}`;
  if (flag.repeats) return quote(`*${flag.name}${takes}${text}`);
  if (names.length === 1) return quote(`${flag.name}${takes}${text}`);
  return `${quote(`(${names.join(' ')})`)}{${names.join(',')}}${quote(text)}`;
}

function value(flag: Flag): string {
  const values = valuesOf(flag);
  if (values.kind === 'none') return '';
  const action = { text: ' ', file: '_files', interface: '_net_interfaces' };
  const does = values.kind === 'words' ? `(${values.words.join(' ')})` : action[values.kind];
  return `${flag.optional ? '::' : ':'}${flag.value!.replaceAll(':', '\\:')}:${does}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
