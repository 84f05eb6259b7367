// Makes a bare clone ready: installs what the lockfile says where that is not there yet, then builds, the gateway's bundle and man pages too.
import { install, run, say } from './steps.mjs';

const root = new URL('..', import.meta.url);

install(root);
say('building');
run(root, process.execPath, 'node_modules/typescript/bin/tsc', '-b');
run(root, process.execPath, 'scripts/bundle-gateway.mjs');
run(root, process.execPath, 'build/manual/main.js');
// Not where something else follows: npm start, npm run bench.
if (process.env.npm_lifecycle_event === 'build')
  say(
    'built; the commands are bin/mproxy-client, bin/mproxy-server, bin/mproxy-forward, bin/mproxy-reverse and bin/mproxy-gateway',
  );
