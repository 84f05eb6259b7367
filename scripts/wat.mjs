// Makes NAME.wasm.ts of each NAME.wat. With --check it only says whether that is needed.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import makeWabt from 'wabt';

const SOURCES = ['packages/mold/src/copier', 'packages/http/src/scanner'];

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const wabt = await makeWabt();
for (const path of SOURCES) {
  const name = path.split('/').at(-1);
  const { buffer } = wabt
    .parseWat(`${name}.wat`, readFileSync(at(`${path}.wat`), 'utf8'), { simd: true })
    .toBinary({});
  const lines = Buffer.from(buffer)
    .toString('base64')
    .match(/.{1,100}/g)
    .map((line) => `  '${line}',`);
  const source = `/** ${name}.wat as a machine reads it, in base64: made by \`node scripts/wat.mjs\`. */
export const ${name.toUpperCase()} = [
${lines.join('\n')}
].join('');
`;
  const target = at(`${path}.wasm.ts`);
  if (!process.argv.includes('--check')) writeFileSync(target, source);
  else if (readFileSync(target, 'utf8') !== source) {
    console.error(`${name}.wasm.ts is not what ${name}.wat gives: node scripts/wat.mjs`);
    process.exitCode = 1;
  }
}
