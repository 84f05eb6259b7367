import { info, loss } from 'mproxy-flow/events';

export const STATUS_LISTENING = info('status_listening', 'status: {url}');
export const STATUS_FAILED = loss(
  'status_failed',
  'status: its thread ended: {reason}; another one starts in {retryMs:duration}',
);
