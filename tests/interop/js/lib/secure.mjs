// A front that speaks TLS on loopback and passes every request on: SDK 4.3.1 asks router and REST over `https` only.

import http from 'node:http';
import https from 'node:https';

import selfsigned from 'selfsigned';

/** Starts a front for `target`; this process trusts its certificate from now on. Returns `host` (with port) and `close`. */
export async function secureFront(target) {
  const { cert, private: key } = await selfsigned.generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keySize: 2048,
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  https.globalAgent.options.ca = cert;
  const server = https.createServer({ key, cert }, (request, response) => {
    const { method, url, headers } = request;
    const onward = http.request(target + url, { method, headers: { ...headers, host: new URL(target).host } });
    onward.on('response', answer => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise(resolve => server.close(resolve));
    },
  };
}
