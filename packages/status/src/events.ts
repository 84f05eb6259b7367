import { info } from 'mproxy-flow/events';

export const STATUS_LISTENING = info('status_listening', 'status: {url}');
