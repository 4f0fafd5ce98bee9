import { defineConfig } from 'vite';

// `npm run dev` serves the page on 5173 and passes everything the server answers on to it.
const server = 'http://localhost:3000';
const restPaths = [
  '/auth',
  '/calls',
  '/groups',
  '/users',
  '/recordings',
  '/ice-servers',
  '/rtp-capabilities',
];

export default defineConfig({
  build: {
    target: 'es2023',
    // Browsers that know `light-dark()`, nesting and layers themselves.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // Never inline files as data: URLs, so that a strict content security policy holds.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    port: 5173,
    proxy: {
      ...Object.fromEntries(restPaths.map((path) => [path, server])),
      '/socket.io': { target: server, ws: true },
    },
  },
});
