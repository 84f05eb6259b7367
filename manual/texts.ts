import type { About } from 'mproxy-command';
import { bashCompletions } from './bash.js';
import { fishCompletions } from './fish.js';
import { manPage } from './man.js';
import { zshCompletions } from './zsh.js';

/** Loads the descriptions of all commands. */
export function readAbouts(): Promise<About[]> {
  return Promise.all(
    ['client', 'server', 'forward', 'reverse', 'gateway'].map(async (name) => {
      const url = new URL(`../../packages/${name}/dist/about.js`, import.meta.url);
      return ((await import(url.href)) as { ABOUT: About }).ABOUT;
    }),
  );
}

/** The files generated for a command, by path in its package. */
export function texts(about: About, all: About[]): Record<string, string> {
  const { name } = about;
  const others = all.map((other) => other.name).filter((other) => other !== name);
  return {
    [`man/${name}.1`]: manPage(about, others, buildDate()),
    [`completions/${name}.bash`]: bashCompletions(about),
    [`completions/_${name}`]: zshCompletions(about),
    [`completions/${name}.fish`]: fishCompletions(about),
  };
}

/** Reproducible builds set the date (reproducible-builds.org, SOURCE_DATE_EPOCH). */
function buildDate(): string {
  const { SOURCE_DATE_EPOCH } = process.env;
  const date = SOURCE_DATE_EPOCH ? new Date(Number(SOURCE_DATE_EPOCH) * 1000) : new Date();
  return date.toISOString().slice(0, 10);
}
