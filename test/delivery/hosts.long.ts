import t from 'tap';
import { noIptables } from '../lan/tools.js';
import { fileToThree } from './hosts.js';

for (const lose of [0.001, 0.01, 0.05, 0.2])
  for (const run of [1, 2])
    t.test(
      `100 MB arrive whole at three hosts that lose ${lose * 100} % of everything, run ${run}`,
      { skip: noIptables },
      (t) => fileToThree(t, 100e6, lose, '400Mbps'),
    );
