import type { Flag } from 'mproxy-base';
import { type About, flagGroups } from 'mproxy-command';
import { valuesOf } from './values.js';

/** Completions for fish 3 and later. */
export function fishCompletions(about: About): string {
  const flags = flagGroups(about).flatMap(([, group]) => group);
  const start = `complete -c ${about.name}`;
  return `# fish completion for ${about.name}
${start} -f
${flags.map((flag) => `${start} ${options(flag).join(' ')}\n`).join('')}`;
}

function options(flag: Flag): string[] {
  const { name, short, optional, help } = flag;
  const values = valuesOf(flag);
  // -x: a required value, no files; -F: files too. An optional value is completed only after =.
  const required = optional ? [] : ['-x'];
  const completes: Record<typeof values.kind, string[]> = {
    none: [],
    text: required,
    file: ['-r', '-F'],
    interface: [...required, '-a', quote('(ls /sys/class/net 2>/dev/null)')],
    words: values.kind === 'words' ? [...required, '-a', quote(values.words.join(' '))] : [],
  };
  const names = [...(short ? ['-s', short.slice(1)] : []), '-l', name.slice(2)];
  return [...names, ...completes[values.kind], '-d', quote(help)];
}

function quote(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
