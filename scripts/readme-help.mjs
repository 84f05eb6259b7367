// Puts the real --help of every command into README.md, between the markers.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const root = new URL('..', import.meta.url);
const readme = new URL('README.md', root);
const help = (name) =>
  execFileSync(process.execPath, [`bin/${name}`, '--help'], { cwd: root, encoding: 'utf8' });
const block = (name) =>
  `<!-- help: ${name} -->\n### ${name}\n\n\`\`\`\n${help(name).trimEnd()}\n\`\`\`\n<!-- end -->`;
const marked = /<!-- help: (mproxy-\w+) -->(?:\n.*?<!-- end -->)?/gs;
writeFileSync(
  readme,
  readFileSync(readme, 'utf8').replace(marked, (_, name) => block(name)),
);
