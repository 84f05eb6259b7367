import { showBytes, showDuration } from 'mproxy-base';
import type { Messages } from 'mproxy-command';
import type { ClientHandle } from './index.js';

const PERIOD_MS = 200;
const BAR_WIDTH = 30;

/**
 * Shows the progress on stderr: a bar with the remaining time if the size is known.
 * @param requested by a flag; the default is to show it for a regular file on a terminal
 * @returns a function that prints the last line and stops
 */
export function showProgress(handle: ClientHandle, requested: boolean, messages: Messages): () => void {
  const started = performance.now();
  const { terminal } = messages;
  const shown = () => requested || (terminal && handle.progress().total !== undefined);
  const draw = () => {
    const progress = handle.progress();
    if (shown()) messages.draw(progressLine(progress, performance.now() - started), progress);
  };
  const timer = setInterval(draw, terminal ? PERIOD_MS : 5 * PERIOD_MS);
  return () => {
    clearInterval(timer);
    draw();
    if (shown()) messages.drawn();
  };
}

function progressLine(
  { bytes, total }: { bytes: number; total: number | undefined },
  elapsed: number,
): string {
  const perSecond = bytes / (elapsed / 1000);
  const speed = `${showBytes(bytes)}  ${((perSecond * 8) / 1e6).toFixed(1)} Mbps  ${showDuration(elapsed)}`;
  if (total === undefined) return speed;
  const share = total === 0 ? 1 : Math.min(bytes / total, 1);
  const full = Math.round(share * BAR_WIDTH);
  const left =
    share === 0
      ? '?'
      : showDuration(1000 * Math.ceil(((Math.max(0, total - bytes) / bytes || 0) * elapsed) / 1000));
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_WIDTH - full)}] ${Math.floor(share * 100)} %  ${speed}  ETA ${left}`;
}
