// Puts the real --help of every command into its page in docs/, between the markers.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const root = new URL('..', import.meta.url);
for (const name of ['client', 'server', 'forward', 'reverse']) {
  const page = new URL(`docs/${name}.md`, root);
  const args = [`bin/mproxy-${name}`, '--help'];
  const help = execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const block = `<!-- help -->\n\`\`\`\n${help.trimEnd()}\n\`\`\`\n<!-- end -->`;
  writeFileSync(
    page,
    readFileSync(page, 'utf8').replace(/<!-- help -->.*?<!-- end -->/s, () => block),
  );
}
