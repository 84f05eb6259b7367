import t from 'tap';
import { slowClients } from './slow.js';

t.setTimeout(240_000);

// 37,500 records of 4,000 bytes: 150 MB.
t.test('TLS clients: five that stop reading while 150 MB pass cost the others nothing', (t) =>
  slowClients(t, 37_500, '1Gbps', true),
);
