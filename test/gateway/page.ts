import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** docs/gateway.md. */
export const PAGE = readFileSync(
  join(fileURLToPath(new URL('../../..', import.meta.url)), 'docs/gateway.md'),
  'utf8',
);

/** The blocks of a text in a language, without the indentation of lists. */
export function blocks(language: string, text: string = PAGE): string[] {
  const found = text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n(.*?)^ *\`\`\``, 'gms'));
  return [...found].map(([, indent, block]) => block!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''));
}

/** The command lines of a text. */
export function commandLines(text: string = PAGE): string[] {
  return blocks('sh', text)
    .join('')
    .split('\n')
    .filter((line) => line !== '');
}

/** From a heading, or the bold beginning of a recipe, to the next one. */
export function part(begin: string): string {
  const text = PAGE.split(begin)[1];
  if (text === undefined) throw new Error(`the page has no ${begin}`);
  return text.split(begin.startsWith('#') ? /^## /m : /^(?:\*\*[A-Z]|## )/m)[0]!;
}
