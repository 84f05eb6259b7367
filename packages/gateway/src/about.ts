import type { About } from 'mproxy-command';
import { CHECK, FLAGS } from './flags.js';

export const ABOUT: About = {
  name: 'mproxy-gateway',
  summary: 'Send HTTP requests to the services behind it, by host, path and method.',
  hangup: 'reopens the access log, and reads the certificates again; with neither it stops the program',
  manual: {
    description: [
      'The configuration is given by flags, or by a document in JSON or TOML, or a module. All its keys are described in docs/gateway.md, ' +
        'and in a JSON Schema for editors in the package.',
      'A host in capitals in a flag stands for a name or an address, IPv6 in brackets. HOST:PORT with port 0 lets the system choose the port ' +
        'of a listener, and a notice reports it.',
    ],
    stop:
      'The program goes on for --drain, with /healthz at 503; then it accepts no more connections, and requests have --grace to end. It ' +
      'reports what was cut, and exits with 0. A second signal ends the program immediately.',
  },
  flags: { ...FLAGS, Configuration: { ...FLAGS.Configuration, ...CHECK } },
  examples: [
    'mproxy-gateway --listen-addr 0.0.0.0:8000 --route /api=http://localhost:8080 --route /=http://localhost:8082',
    "mproxy-gateway --listen-addr unix:/run/web.sock --route 'app.example.com/=http://10.0.0.1:80|http://10.0.0.2:80' \\",
    '    --access-log /var/log/web.log --trust unix:',
    'mproxy-gateway --config gateway.json --check',
    'mproxy-gateway --listen-addr tls://0.0.0.0:443 --tls-cert site.pem --tls-key site.key --route /=http://127.0.0.1:3000',
    "mproxy-gateway --port-encoding --run 'npm run dev'",
  ],
};
