// Makes packages/mold/src/copier.wasm.ts of copier.wat. With --check it only says whether that is needed.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import makeWabt from 'wabt';

const at = (name) => fileURLToPath(new URL(`../packages/mold/src/${name}`, import.meta.url));
const wabt = await makeWabt();
const { buffer } = wabt
  .parseWat('copier.wat', readFileSync(at('copier.wat'), 'utf8'), { simd: true })
  .toBinary({});
const base64 = Buffer.from(buffer).toString('base64');
const lines = base64.match(/.{1,100}/g).map((line) => `  '${line}',`);
const source = `/** copier.wat as a machine reads it, in base64: made by \`node scripts/copier.mjs\`. */
export const COPIER = [
${lines.join('\n')}
].join('');
`;
const target = at('copier.wasm.ts');
if (!process.argv.includes('--check')) writeFileSync(target, source);
else if (readFileSync(target, 'utf8') !== source) {
  console.error('copier.wasm.ts is not what copier.wat gives: node scripts/copier.mjs');
  process.exitCode = 1;
}
