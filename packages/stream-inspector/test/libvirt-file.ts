/** A save image as libvirt writes it: header, XML with a NUL, cookie, padding, and the stream however it is packed. */
export interface LibvirtFileOptions {
  readonly magic?: string;
  readonly version?: number;
  readonly format?: number;
  readonly wasRunning?: boolean;
  readonly xml?: string;
  readonly cookie?: string;
  readonly bigEndian?: boolean;
  readonly stream: Uint8Array;
}

export const DOMAIN_UUID = "550e8400-e29b-41d4-a716-446655440000";
const XML = `<domain type='kvm'>\n  <name>web &amp; mail</name>\n  <uuid>${DOMAIN_UUID}</uuid>\n  <memory>16384</memory>\n</domain>\n`;
const PADDED_TO = 512;

export function libvirtFile(options: LibvirtFileOptions): Uint8Array {
  const { magic = "LibvirtQemudSave", version = 2, format = 0, wasRunning = true, xml = XML } = options;
  const { cookie = "", bigEndian = false, stream } = options;
  const text = Buffer.from(`${xml}\0${cookie}`);
  const data = Buffer.alloc(Math.ceil((92 + text.length) / PADDED_TO) * PADDED_TO - 92);
  text.copy(data);
  const header = Buffer.alloc(92);
  header.write(magic, "latin1");
  const numbers = [version, data.length, Number(wasRunning), format, cookie === "" ? 0 : xml.length + 1];
  for (const [index, number] of numbers.entries()) {
    if (bigEndian) header.writeUInt32BE(number, 16 + 4 * index);
    else header.writeUInt32LE(number, 16 + 4 * index);
  }
  return new Uint8Array(Buffer.concat([header, data, stream]));
}
