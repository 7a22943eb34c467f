//! Which clusters are reached past the environment's proxy: this machine's own, and those that NO_PROXY names.

use std::net::IpAddr;

/// Whether a host is reached directly. `rules` is the value of NO_PROXY: names with their subdomains, addresses, networks, or `*`.
pub(super) fn is_direct(host: &str, rules: &str) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    // Other clients never send what is meant for the machine itself to a proxy.
    host == "localhost"
        || address.is_some_and(|address| address.is_loopback())
        || rules.split(',').any(|rule| covers(rule.trim(), &host, address))
}

fn covers(rule: &str, host: &str, address: Option<IpAddr>) -> bool {
    if rule.is_empty() {
        return false;
    }
    if let (Some(address), Some((network, bits))) = (address, rule.split_once('/')) {
        return network.parse().is_ok_and(|network| bits.parse().is_ok_and(|bits| within(address, network, bits)));
    }
    let rule = rule.to_ascii_lowercase();
    let name = rule.trim_start_matches('*').trim_start_matches('.');
    rule == "*" || host == name || host.strip_suffix(name).is_some_and(|rest| !name.is_empty() && rest.ends_with('.'))
}

/// Whether the first `bits` of two addresses are the same.
fn within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |one: u128, two: u128, width: u32| bits <= width && (bits == 0 || (one ^ two) >> (width - bits) == 0);
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(two)) => same(one.to_bits().into(), two.to_bits().into(), 32),
        (IpAddr::V6(one), IpAddr::V6(two)) => same(one.to_bits(), two.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_networks_and_the_machine_itself_go_past_the_proxy() {
        let rules = "cluster.example, .internal,10.0.0.0/8, fd00::/8";
        for host in ["127.0.0.1", "::1", "[::1]", "localhost", "cluster.example", "a.cluster.example", "x.internal", "10.9.8.7", "fd12::1"]
        {
            assert!(is_direct(host, rules), "{host}");
        }
        for host in ["notcluster.example", "example", "11.0.0.1", "fe80::1", "api.public.example"] {
            assert!(!is_direct(host, rules), "{host}");
        }
        assert!(is_direct("anything", "*"));
        assert!(!is_direct("anything", ""));
    }
}
