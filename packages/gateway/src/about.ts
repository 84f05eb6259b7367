import type { About } from 'mproxy-command';
import { CHECK, FLAGS } from './flags.js';

export const ABOUT: About = {
  name: 'mproxy-gateway',
  summary: 'Send HTTP requests to the services behind it, by host, path and method.',
  hangup: 'reopens the access log; without one it stops the program',
  flags: { ...FLAGS, Configuration: { ...FLAGS.Configuration, ...CHECK } },
  examples: [
    'mproxy-gateway --listen-addr 0.0.0.0:8000 --route /api=http://localhost:8080 --route /=http://localhost:8082',
    "mproxy-gateway --listen-addr unix:/run/web.sock --route 'app.example.com/=http://10.0.0.1:80|http://10.0.0.2:80' \\",
    '    --access-log /var/log/web.log --trust unix:',
    'mproxy-gateway --config gateway.json --check',
    "mproxy-gateway --port-encoding --run 'npm run dev'",
  ],
};
