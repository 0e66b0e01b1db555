//! Addresses and ranges of them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::error::Failure;
use crate::value::Value;

/// The address that a value is. An IPv4 address in IPv6's clothes is an IPv4 address.
pub(super) fn address(value: &Value) -> Result<IpAddr, Failure> {
    let text = value.as_str().ok_or_else(|| Failure::wrong_type("string", value))?;
    let address: IpAddr = text.parse().map_err(|_| Failure::BadArgument("this is no IP address"))?;
    Ok(address.to_canonical())
}

/// Whether an address is in one of the ranges.
pub(super) fn inside(value: &Value, ranges: &[IpNet]) -> Result<bool, Failure> {
    let address = address(value)?;
    Ok(ranges.iter().any(|range| range.contains(&address)))
}
