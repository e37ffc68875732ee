import protobuf from "protobufjs";

/** Services and messages in the compact form of the agent's tables. */
export interface ServiceTable {
  package: string;
  /** The calls of each service, each `name request response`. */
  services: Record<string, string[]>;
  /** `NAME=number` separated by blanks. */
  enums: Record<string, string>;
  /** `name number type`, separated by commas; lines join. */
  messages: Record<string, string | string[]>;
}

export interface Method {
  path: string;
  encode: (request: object) => Buffer;
  decode: (bytes: Buffer) => unknown;
  /** The other side's halves. */
  decodeRequest: (bytes: Buffer) => unknown;
  encodeResponse: (response: object) => Buffer;
}

const mapType = /^map<(\w+),(\w+)>$/;

function fieldsOf(text: string | string[]): Record<string, object> {
  const fields: Record<string, object> = {};
  for (const field of (typeof text === "string" ? text : text.join(", ")).split(", ")) {
    if (field === "") continue;
    const [name = "", id = "", type = ""] = field.split(" ");
    const map = mapType.exec(type);
    if (map) fields[name] = { keyType: map[1], type: map[2], id: Number(id) };
    else if (type.startsWith("[]")) fields[name] = { rule: "repeated", type: type.slice(2), id: Number(id) };
    else fields[name] = { type, id: Number(id) };
  }
  return fields;
}

/**
 * Compiles a table into its methods, by `<service>/<call>`. Field names stay as they are, enums are their names,
 * 64-bit integers are numbers, and in answers absent fields have their default.
 */
export function compileServices(table: ServiceTable): (service: string, call: string) => Method {
  const nested: Record<string, object> = {};
  for (const [name, text] of Object.entries(table.enums)) {
    const values = text.split(" ").map((one) => one.split("="));
    nested[name] = { values: Object.fromEntries(values.map(([key, value]) => [key, Number(value)])) };
  }
  for (const [name, text] of Object.entries(table.messages)) nested[name] = { fields: fieldsOf(text) };
  const root = protobuf.Root.fromJSON({ nested } as protobuf.INamespace);
  root.resolveAll();
  const methods = new Map<string, Method>();
  for (const [service, calls] of Object.entries(table.services)) {
    for (const call of calls) {
      const [name, input = "", output = ""] = call.split(" ");
      const request = root.lookupType(input);
      const response = root.lookupType(output);
      methods.set(`${service}/${name}`, {
        path: `/${table.package}.${service}/${name}`,
        encode: (message) => Buffer.from(request.encode(request.fromObject(message)).finish()),
        decode: (bytes) => response.toObject(response.decode(bytes), shape),
        decodeRequest: (bytes) => request.toObject(request.decode(bytes), shape),
        encodeResponse: (message) => Buffer.from(response.encode(response.fromObject(message)).finish()),
      });
    }
  }
  return (service, call) => {
    const method = methods.get(`${service}/${call}`);
    if (!method) throw new Error(`no call ${service}/${call} in the table of ${table.package}`);
    return method;
  };
}

const shape: protobuf.IConversionOptions = { longs: Number, enums: String, bytes: Buffer, defaults: true };
