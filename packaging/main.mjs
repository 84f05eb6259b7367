// npm run package: makes dist/mproxy-client, -server, -forward, -reverse and -gateway for this platform, each complete alone.
import { install, say } from '../scripts/steps.mjs';

const { platform, arch } = process;
if (platform !== 'linux' || !['x64', 'arm64'].includes(arch)) {
  say(`npm run package: it is for Linux on x64 and arm64, and this is ${platform} on ${arch}`);
  process.exit(1);
}
install(new URL('.', import.meta.url));
const { buildAll } = await import('./executables.mjs');
await buildAll(say);
