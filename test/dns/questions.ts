export interface Row {
  name: string;
  type: string;
  /** The payload size of EDNS; absent: without EDNS. */
  size?: number;
  tcp?: true;
  class?: number;
}

const zone = "cluster.local.";
const svc = `default.svc.${zone}`;

const each = (name: string, types: string): Row[] => types.split(" ").map((type) => ({ name, type }));

/** Types that every sort of name is asked for. */
const all = "A AAAA SRV TXT CNAME MX NS SOA PTR ANY HTTPS";

export const questions: Row[] = [
  ...[`web.${svc}`, `set.${svc}`, `outside.${svc}`, `inside.${svc}`, `gone.${svc}`, zone].flatMap((name) =>
    each(name, all),
  ),
  ...[`svc.${zone}`, `pod.${zone}`, svc, `default.pod.${zone}`, `gone.svc.${zone}`, `empty.svc.${zone}`].flatMap(
    (name) => each(name, "A SRV TXT PTR"),
  ),
  ...[`dns-version.${zone}`, `ns.dns.${zone}`, `dns.${zone}`, `other.${zone}`, `a.dns-version.${zone}`].flatMap(
    (name) => each(name, all),
  ),
  ...[
    "unnamed",
    "lonely",
    "noports",
    "silent",
    "both",
    "inside-set",
    "inside-gone",
    "chain",
    "itself",
    "loop-a",
  ].flatMap((name) => each(`${name}.${svc}`, "A AAAA SRV CNAME")),
  ...["outside-gone", "outside-chain"].flatMap((name) => each(`${name}.${svc}`, "A AAAA CNAME")),
  ...[
    "_http._tcp",
    "_https._tcp",
    "_metrics._udp",
    "_http._udp",
    "_gone._tcp",
    "http.tcp",
    "_._tcp",
    "_._",
    "_http._gone",
  ].flatMap((prefix) => [...each(`${prefix}.web.${svc}`, "SRV A"), ...each(`${prefix}.set.${svc}`, "SRV A")]),
  ...each(`_admin._tcp.set.${svc}`, "SRV A"),
  ...each(`_dns._udp.kube-dns.kube-system.svc.${zone}`, "SRV"),
  ...each(`_http._tcp.outside.${svc}`, "SRV A"),
  ...each(`x.outside.${svc}`, "A"),
  ...["set-0", "set-1", "10-1-0-4", "set-3", "10-1-0-3", "gone", "10-1-0-6"].flatMap((host) =>
    each(`${host}.set.${svc}`, "A SRV AAAA"),
  ),
  ...each(`10-1-0-1.web.${svc}`, "A SRV"),
  ...each(`host.noports.${svc}`, "A SRV"),
  ...["a", "10-1-0-9", "fd00-1--0", "fd00-1--"].flatMap((host) => each(`${host}.both.${svc}`, "A AAAA SRV")),
  ...each(`x.y.z.web.${svc}`, "A"),
  ...each(`x.y.web.${svc}`, "A"),
  ...each(`*.${svc}`, "A SRV"),
  ...each(`web.*.svc.${zone}`, "A"),
  ...each(`*.*.web.${svc}`, "SRV"),
  ...each(`orphan.${svc}`, "A"),
  ...[
    "1-2-3-4",
    "1-2-3-400",
    "01-2-3-4",
    "1-2-3",
    "fd00--1",
    "fd00-1-2-3-4-5-6-7",
    "a-b-c-d",
    "1--2",
    "x.1-2-3-4",
  ].flatMap((pod) => each(`${pod}.default.pod.${zone}`, "A AAAA SRV TXT")),
  ...each(`1-2-3-4.gone.pod.${zone}`, "A"),
  ...each(`WeB.DeFault.SVC.Cluster.LOCAL.`, "A SRV AAAA"),
  ...each(`_HTTP._Tcp.Set.DeFault.sVc.Cluster.LOCAL.`, "SRV"),
  ...each(`gone.DeFault.sVc.Cluster.LOCAL.`, "A"),
  ...["20.0.96.10", "2.0.1.10", "4.0.1.10", "6.0.1.10", "5.0.1.10", "40.0.1.10", "9.9.9.10", "10.0.96.10"].flatMap(
    (ip) => each(`${ip}.in-addr.arpa.`, "PTR"),
  ),
  ...each(`20.0.96.10.in-addr.arpa.`, "A"),
  ...each(`8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.`, "PTR"),
  ...each(`0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.`, "PTR"),
  ...each(zone, "AXFR IXFR"),
  { name: `web.${svc}`, type: "A", size: 1232 },
  { name: `web.${svc}`, type: "A", size: 100 },
  { name: `web.${svc}`, type: "A", tcp: true },
  { name: `gone.${svc}`, type: "A", size: 4096 },
  { name: `large.${svc}`, type: "A" },
  { name: `large.${svc}`, type: "A", size: 1232 },
  { name: `large.${svc}`, type: "A", size: 4096 },
  { name: `large.${svc}`, type: "A", tcp: true },
  { name: `large.${svc}`, type: "SRV", size: 1232 },
  { name: `large.${svc}`, type: "SRV", tcp: true },
  ...each("www.example.test.", "A AAAA"),
  ...each("chain.example.test.", "A"),
  ...each("gone.example.test.", "A"),
  ...each("long.example.test.", "A"),
  ...each("short.example.test.", "A"),
];
