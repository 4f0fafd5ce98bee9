import { Device, detectDevice } from 'mediasoup-client';
import { rtpCapabilities } from '../api/rest';

export class UnsupportedBrowser extends Error {
  override readonly name = 'UnsupportedBrowser';
}

let loading: Promise<Device> | undefined;

/** This browser matched against what the server can route. Loaded once, before the first join. */
export function loadDevice(): Promise<Device> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<Device> {
  const handlerName = detectDevice();
  if (!handlerName) throw new UnsupportedBrowser();
  const device = new Device({ handlerName });
  await device.load({ routerRtpCapabilities: await rtpCapabilities() });
  return device;
}
