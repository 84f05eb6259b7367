/**
 * Media types by the ends of file names: those that browsers load, and what people put on web servers (IANA's registry; text/javascript:
 * RFC 9239). A table of our own: it is data that seldom changes, and nothing is to be installed for it.
 */
const TYPES: Record<string, string> = {
  'application/atom+xml': 'atom',
  'application/epub+zip': 'epub',
  'application/geo+json': 'geojson',
  'application/gzip': 'gz tgz',
  'application/java-archive': 'jar war',
  'application/json': 'json map',
  'application/ld+json': 'jsonld',
  'application/manifest+json': 'webmanifest',
  'application/msword': 'doc',
  'application/pdf': 'pdf',
  'application/postscript': 'ps eps ai',
  'application/rss+xml': 'rss',
  'application/rtf': 'rtf',
  'application/vnd.apple.mpegurl': 'm3u8',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.ms-fontobject': 'eot',
  'application/vnd.ms-powerpoint': 'ppt',
  'application/vnd.oasis.opendocument.presentation': 'odp',
  'application/vnd.oasis.opendocument.spreadsheet': 'ods',
  'application/vnd.oasis.opendocument.text': 'odt',
  'application/vnd.openxmlformats-officedocument.presentationml.presentation': 'pptx',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.rar': 'rar',
  'application/wasm': 'wasm',
  'application/x-7z-compressed': '7z',
  'application/x-bzip2': 'bz2',
  'application/x-tar': 'tar',
  'application/x-x509-ca-cert': 'crt der pem',
  'application/x-xz': 'xz',
  'application/xhtml+xml': 'xhtml',
  'application/xml': 'xml xsl xsd',
  'application/yaml': 'yaml yml',
  'application/zip': 'zip',
  'application/zstd': 'zst',
  'audio/aac': 'aac',
  'audio/flac': 'flac',
  'audio/midi': 'mid midi',
  'audio/mp4': 'm4a',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'oga ogg opus',
  'audio/wav': 'wav',
  'font/collection': 'ttc',
  'font/otf': 'otf',
  'font/ttf': 'ttf',
  'font/woff': 'woff',
  'font/woff2': 'woff2',
  'image/apng': 'apng',
  'image/avif': 'avif',
  'image/bmp': 'bmp',
  'image/gif': 'gif',
  'image/heic': 'heic',
  'image/jpeg': 'jpg jpeg',
  'image/jxl': 'jxl',
  'image/png': 'png',
  'image/svg+xml': 'svg',
  'image/tiff': 'tif tiff',
  'image/vnd.microsoft.icon': 'ico',
  'image/webp': 'webp',
  'model/gltf+json': 'gltf',
  'model/gltf-binary': 'glb',
  'text/calendar': 'ics',
  'text/css': 'css',
  'text/csv': 'csv',
  'text/html': 'html htm',
  'text/javascript': 'js mjs',
  'text/markdown': 'md',
  'text/plain': 'txt log conf ini',
  'text/vcard': 'vcf',
  'text/vtt': 'vtt',
  'video/mp2t': 'ts',
  'video/mp4': 'mp4 m4v',
  'video/mpeg': 'mpg mpeg',
  'video/ogg': 'ogv',
  'video/quicktime': 'mov',
  'video/webm': 'webm',
  'video/x-matroska': 'mkv',
};

const DEFAULT = 'application/octet-stream';

const BY_END = new Map(
  Object.entries(TYPES).flatMap(([type, ends]) =>
    ends.split(' ').map((end): [string, string] => [end, isText(type) ? `${type}; charset=utf-8` : type]),
  ),
);

function isText(type: string): boolean {
  return type.startsWith('text/') || type === 'application/xml' || type === 'application/xhtml+xml';
}

/** The media type of a file by its name. */
export function mediaType(name: string): string {
  const dot = name.lastIndexOf('.');
  return (dot < 0 ? undefined : BY_END.get(name.slice(dot + 1).toLowerCase())) ?? DEFAULT;
}
