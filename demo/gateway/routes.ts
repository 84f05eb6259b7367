/** The two names on the TLS port. */
export const APP = 'app.localhost';
export const EVENTS = 'events.localhost';

/** The routes of the demonstration, as the gateway names them in its counters; `none` is the port without TLS. */
export const ROUTES = {
  page: `${APP}/`,
  turns: `${APP}/turns`,
  upload: `${APP}/api`,
  download: `${APP}/large`,
  file: `${APP}/assets`,
  respond: `${APP}/health`,
  redirect: `${APP}/old`,
  socket: `${EVENTS}/socket`,
  events: `${EVENTS}/events`,
  plain: 'none',
} as const;

export type RouteName = keyof typeof ROUTES;

/** A route, for display. */
export function labelOf(route: RouteName): string {
  return route === 'plain' ? 'without TLS' : ROUTES[route];
}

/** What is sent through each route, for the picture. */
export const PURPOSES: Record<RouteName, string> = {
  page: 'a page',
  turns: 'two servers in turns',
  upload: 'uploads, strip_prefix',
  download: 'a large download',
  file: 'a file of a folder',
  respond: 'a fixed response',
  redirect: 'a redirection',
  socket: 'messages of WebSockets',
  events: 'an event stream',
  plain: 'redirected to https',
};
