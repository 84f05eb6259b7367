import { type About, type Flag, flagGroups } from 'mproxy-command';
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
  // -x: a value and no file; -F: files, too. A value that may be left out is completed after the = alone.
  const needs = optional ? [] : ['-x'];
  const completes: Record<typeof values.kind, string[]> = {
    none: [],
    text: needs,
    file: ['-r', '-F'],
    interface: [...needs, '-a', quote('(ls /sys/class/net 2>/dev/null)')],
    words: values.kind === 'words' ? [...needs, '-a', quote(values.words.join(' '))] : [],
  };
  const names = [...(short ? ['-s', short.slice(1)] : []), '-l', name.slice(2)];
  return [...names, ...completes[values.kind], '-d', quote(help)];
}

function quote(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
