import { duration, type FlagTable, flagNames, text, texts } from 'mproxy-base';
import { networks } from 'mproxy-net/networks';

/** The flags of the status server, which every command has. */
export const STATUS = {
  statusAddr: text({
    value: 'ADDR',
    help: 'serve a status page, metrics, health and counters over HTTP at HOST:PORT or unix:PATH; default off',
  }),
  statusAllow: networks('serve the status only to this network; default those of --allow'),
  statusPeer: texts({ value: 'URL', help: 'show the status of this program on the page, too; may repeat' }),
  healthIdle: duration({
    default: '0',
    help: '/healthz fails when an input receives nothing for this long, 0 never',
  }),
} satisfies FlagTable;

export const STATUS_NAMES = flagNames({ STATUS });
