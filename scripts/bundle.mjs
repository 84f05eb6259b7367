// One script of a program and all of ours that it imports. Node takes longer to find and load hundreds of files than to run them.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** @param input the script, as text. @param options others of esbuild */
export async function bundle(input, outfile, options) {
  await build({
    stdin: { contents: input, resolveDir: fileURLToPath(new URL('../', import.meta.url)) },
    outfile,
    bundle: true,
    platform: 'node',
    // Faster than modules: Node's own parts load with what needs them.
    format: 'cjs',
    // Names stay, for reports of internal errors.
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: 'warning',
    logOverride: { 'empty-import-meta': 'error' },
    ...options,
  });
}
