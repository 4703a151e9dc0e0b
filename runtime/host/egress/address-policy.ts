import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";

/** What is not globally reachable: https://www.iana.org/assignments/iana-ipv4-special-registry/ */
const DENIED_IPV4: [network: string, prefix: number][] = [
  ["0.0.0.0", 8], // this network
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // carrier-grade NAT; Alibaba's metadata
  ["127.0.0.0", 8], // loopback
  ["168.63.129.16", 32], // Azure's metadata, in a public range
  ["169.254.0.0", 16], // link-local, with the metadata services
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 24], // protocol assignments; Oracle's metadata
  ["192.0.2.0", 24], // documentation
  ["192.88.99.0", 24], // 6to4 relays
  ["192.168.0.0", 16], // private
  ["198.18.0.0", 15], // benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, broadcast
];

/**
 * Global unicast is 2000::/3 alone. So loopback, unspecified, mapped and compatible IPv4, NAT64 (64:ff9b::/96 and
 * 64:ff9b:1::/48), discard, unique local (with fd00:ec2::254), link-local, site-local and multicast are denied without being named.
 * https://www.iana.org/assignments/iana-ipv6-special-registry/
 */
const GLOBAL_IPV6 = subnets("ipv6", [["2000::", 3]]);
const DENIED_IPV6: [network: string, prefix: number][] = [
  ["2001::", 23], // protocol assignments: Teredo, benchmarks, ORCHID
  ["2001:db8::", 32], // documentation
  ["2002::", 16], // 6to4
  ["3fff::", 20], // documentation
];

const denied4 = subnets("ipv4", DENIED_IPV4);
const denied6 = subnets("ipv6", DENIED_IPV6);

/** Whether an address belongs to the public Internet. What is no address is not. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !denied4.check(address, "ipv4");
    case 6:
      return GLOBAL_IPV6.check(address, "ipv6") && !denied6.check(address, "ipv6");
    default:
      return false;
  }
}

const OWN_ADDRESSES_TTL_MS = 10_000;
let own = new BlockList();
let ownReadAtMs = Number.NEGATIVE_INFINITY;

/** Whether an address, public or not, is one of this machine's: the platform's own ports are behind it. */
export function isOwnAddress(address: string): boolean {
  if (performance.now() - ownReadAtMs > OWN_ADDRESSES_TTL_MS) {
    own = addressList(
      Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((i) => i.address)),
    );
    ownReadAtMs = performance.now();
  }
  return contains(own, address);
}

/** A set of addresses, equal in whatever way they are written. */
export function addressList(addresses: string[]): BlockList {
  const list = new BlockList();
  for (const address of addresses) list.addAddress(address, family(address));
  return list;
}

export function contains(list: BlockList, address: string): boolean {
  return isIP(address) !== 0 && list.check(address, family(address));
}

const family = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4");

function subnets(type: "ipv4" | "ipv6", ranges: [network: string, prefix: number][]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of ranges) list.addSubnet(network, prefix, type);
  return list;
}
