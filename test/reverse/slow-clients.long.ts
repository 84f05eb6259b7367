import t from 'tap';
import { slowClients } from './slow.js';

t.setTimeout(180_000);

// 187,500 records of 4,000 bytes at 100 Mbps: a minute in which the five do not read.
t.test('five clients that stop reading for a minute cost the others nothing', (t) =>
  slowClients(t, 187_500, '100Mbps'),
);
