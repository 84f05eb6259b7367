import t from 'tap';
import { noIptables } from '../lan/tools.js';
import { fileToThree } from './hosts.js';

for (const lose of [0, 0.05])
  t.test(
    `a file arrives whole at three hosts that lose ${lose * 100} % of everything`,
    { skip: noIptables },
    (t) => fileToThree(t, 10e6, lose, '200Mbps'),
  );
