import type { Flag } from 'mproxy-base';
import { type About, flagGroups } from 'mproxy-command';
import { namesOf, valuesOf } from './values.js';

/** Completions for zsh: one argument of _arguments (zshcompsys(1)) per flag. */
export function zshCompletions(about: About): string {
  const flags = flagGroups(about).flatMap(([, group]) => group);
  return `#compdef ${about.name}

_arguments -s \\
${flags.map((flag) => `  ${argument(flag)}`).join(' \\\n')}
`;
}

function argument(flag: Flag): string {
  const names = namesOf(flag);
  // =- requires the =, since with an optional value the next word may be a flag.
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
