import { info, loss } from '../../events.js';

export const SESSION_OPENED = info('session_opened', 'sending: session {session} to {destination}');
export const SESSION_SENT = info(
  'session_sent',
  'session {session}: {messages:message(s)} sent, {answers:packet(s)} sent again',
);
/** Packets that receivers cannot request again. */
export const SESSION_CUT = loss(
  'session_cut',
  'session {session}: {messages:message(s)}, but {unsent:packet(s)} of them were not sent',
);

export const SESSION_RECEIVED = info(
  'session_received',
  'receiving: {source}: {session} from message {first}[, which {state}]',
  'session(s) received',
);
export const SESSION_ENDED = info(
  'session_ended',
  'ended: {source}: {session} at message {last:number}; {gaps:gap(s)}, {asked:request(s)}, {repaired:number} repaired, {duplicates:duplicate(s)}, {lost:number} lost',
  'session(s) ended',
);
export const SESSION_SILENT = loss(
  'session_silent',
  'receiving: {source}: {session}: {reason}',
  'session(s) without an end',
);
export const SESSION_RESUMED = info(
  'session_resumed',
  'receiving: {source}: {session}: received again',
  'session(s) received again',
);
export const SESSIONS_REFUSED = loss(
  'sessions_refused',
  'receiving: {source}: {limit:session(s)} received within a minute; the others are ignored',
  'time(s) too many sessions',
);
export const STRAY_ANSWER = loss(
  'stray_answer',
  'receiving: {source}: {session}: requested from {requested}, answered from {answered}: ignored; {advice}',
  'session(s) answered from elsewhere',
);
