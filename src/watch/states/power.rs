//! Owns: the states `ac` and `battery`, of which exactly one holds.
//! Never: how full a battery is.
//!
//! The rule is that of systemd-ac-power(1): on mains power if a charger is online or no battery is being
//! discharged. So a machine without batteries is, and a container that sees none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use super::netlink::NetlinkSocket;

/// The group to which the kernel itself sends; udev repeats it in another one.
const KERNEL_GROUP: u32 = 1;

/// The subsystems whose events may make a difference. A port of `typec` can turn from taking to giving.
pub(super) const SUBSYSTEMS: [&str; 2] = ["power_supply", "typec"];

/// Opens the socket that receives uevents.
pub(super) fn listen() -> io::Result<NetlinkSocket> {
    NetlinkSocket::open(SockProtocol::NetlinkKObjectUEvent, KERNEL_GROUP)
}

/// Returns whether a uevent is of one of these subsystems.
pub(super) fn concerns(datagram: &[u8], subsystems: &[&str]) -> bool {
    let mut fields = datagram.split(|byte| *byte == 0);
    fields
        .find_map(|field| field.strip_prefix(b"SUBSYSTEM="))
        .is_some_and(|name| subsystems.iter().any(|wanted| wanted.as_bytes() == name))
}

/// Returns whether the machine runs on mains power. `sys` is where sysfs(5) is mounted.
pub(super) fn read(sys: &Path) -> io::Result<bool> {
    let supplies: Vec<Supply> = entries(&sys.join("class/power_supply"))?.into_iter().map(Supply).collect();
    // Chargers first: reading a battery may take milliseconds.
    for supply in &supplies {
        if supply.is_charger_online(sys)? {
            return Ok(true);
        }
    }
    for supply in &supplies {
        if supply.is_discharging()? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A directory of /sys/class/power_supply.
struct Supply(PathBuf);

impl Supply {
    fn is_charger_online(&self, sys: &Path) -> io::Result<bool> {
        let Some(kind) = self.kind_for_machine()? else { return Ok(false) };
        // An uninterruptible supply is online too while it feeds the machine from its battery.
        if kind == "Battery" || kind == "UPS" {
            return Ok(false);
        }
        // 1 and 2 are ways of being online.
        let online = self.attribute("online")?.and_then(|text| text.parse::<i64>().ok());
        Ok(online.is_some_and(|online| online > 0) && !(kind == "USB" && self.gives_power(sys)?))
    }

    fn is_discharging(&self) -> io::Result<bool> {
        let kind = self.kind_for_machine()?;
        let is_battery = kind.as_deref() == Some("Battery");
        if !is_battery && kind.as_deref() != Some("UPS") {
            return Ok(false);
        }
        if self.attribute("present")?.as_deref() == Some("0") {
            return Ok(false);
        }
        Ok(match self.attribute("status")? {
            Some(status) => status == "Discharging",
            // A battery that does not say is the worst case, unless it was removed just now.
            None => is_battery && self.attribute("type")?.is_some(),
        })
    }

    /// Returns the kind; `None` for the battery or the charger of a device, such as a mouse.
    fn kind_for_machine(&self) -> io::Result<Option<String>> {
        let is_of_device = self.attribute("scope")?.as_deref() == Some("Device");
        if is_of_device { Ok(None) } else { self.attribute("type") }
    }

    /// Returns whether this is a USB-C supply by which the machine feeds others: of its ports, at least one
    /// gives and none takes.
    fn gives_power(&self, sys: &Path) -> io::Result<bool> {
        let Ok(controller) = self.0.join("device").canonicalize() else { return Ok(false) };
        let mut gives = false;
        for port in entries(&sys.join("class/typec"))? {
            if port.canonicalize().is_ok_and(|port| port.starts_with(&controller)) {
                // The role that is taken stands in brackets.
                let role = attribute(&port, "power_role")?.unwrap_or_default();
                if role.contains("[sink]") {
                    return Ok(false);
                }
                gives |= role.contains("[source]");
            }
        }
        Ok(gives)
    }

    fn attribute(&self, name: &str) -> io::Result<Option<String>> {
        attribute(&self.0, name)
    }
}

/// Returns the text of an attribute; `None` if the driver does not have it or cannot say.
fn attribute(dir: &Path, name: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(dir.join(name)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if is_shortage(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Returns the entries of a directory of sysfs; none if there is no such directory.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Returns whether an error says something about this process, and nothing about the file.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM];
    shortages.iter().any(|errno| error.raw_os_error() == Some(*errno as i32))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A power supply: its name, and each attribute as `name=value`.
    type Sample<'a> = (&'a str, &'a [&'a str]);

    const CHARGED: &[&str] = &["type=Battery", "present=1", "status=Full"];
    const DRAINED: &[&str] = &["type=Battery", "present=1", "status=Discharging", "scope=System"];

    fn write(dir: &Path, attributes: &[&str]) {
        fs::create_dir_all(dir).expect("there is room");
        for attribute in attributes {
            let (name, value) = attribute.split_once('=').expect("a sample is `name=value`");
            fs::write(dir.join(name), format!("{value}\n")).expect("there is room");
        }
    }

    fn sys(supplies: &[Sample<'_>]) -> TempDir {
        let sys = tempfile::tempdir().expect("there is room");
        for (name, attributes) in supplies {
            write(&sys.path().join("class/power_supply").join(name), attributes);
        }
        sys
    }

    #[track_caller]
    fn check(is_on_ac: bool, supplies: &[Sample<'_>]) {
        assert_eq!(read(sys(supplies).path()).expect("it is read"), is_on_ac, "{supplies:?}");
    }

    #[test]
    fn a_machine_without_power_supplies_is_on_mains_power() {
        check(true, &[]);
        let empty = tempfile::tempdir().expect("there is room");
        assert!(read(empty.path()).expect("it is read"));
        assert!(read(&empty.path().join("no/sys")).expect("it is read"));
        fs::create_dir_all(empty.path().join("class/power_supply")).expect("there is room");
        assert!(read(empty.path()).expect("it is read"));
    }

    #[test]
    fn a_laptop_is_on_mains_power_while_its_charger_is_online() {
        check(true, &[("AC", &["type=Mains", "online=1"]), ("BAT0", CHARGED)]);
        check(false, &[("AC", &["type=Mains", "online=0"]), ("BAT0", DRAINED)]);
        check(false, &[("BAT0", DRAINED)]);
        // A charger that is too weak.
        check(true, &[("AC", &["type=Mains", "online=1"]), ("BAT0", DRAINED)]);
        // The battery has not noticed yet.
        check(true, &[("AC", &["type=Mains", "online=0"]), ("BAT0", CHARGED)]);
    }

    #[test]
    fn one_of_several_batteries_that_is_discharged_suffices() {
        let offline = ("AC", &["type=Mains", "online=0"][..]);
        check(false, &[offline, ("BAT0", &["type=Battery", "status=Not charging"]), ("BAT1", DRAINED)]);
        check(true, &[offline, ("BAT0", CHARGED), ("BAT1", &["type=Battery", "status=Unknown"])]);
    }

    #[test]
    fn a_battery_that_does_not_say_is_discharged_and_one_that_is_absent_is_not() {
        check(false, &[("BAT0", &["type=Battery", "present=1"])]);
        check(true, &[("BAT0", &["type=Battery", "present=0", "status=Discharging"])]);
        check(true, &[("BAT0", &["present=1", "status=Discharging"])]);
    }

    #[test]
    fn the_battery_and_the_charger_of_a_device_do_not_count() {
        let mouse = ("hidpp_battery_0", &["type=Battery", "scope=Device", "status=Discharging"][..]);
        check(true, &[mouse]);
        check(true, &[mouse, ("AC", &["type=Mains", "online=1"]), ("BAT0", CHARGED)]);
        let tablet = ("wacom_ac_1", &["type=Mains", "scope=Device", "online=1"][..]);
        check(false, &[mouse, tablet, ("AC", &["type=Mains", "online=0"]), ("BAT0", DRAINED)]);
    }

    #[test]
    fn chargers_of_every_kind_count() {
        for kind in ["Mains", "USB", "USB_C", "USB_PD", "USB_DCP", "Wireless", "Unknown"] {
            let attribute = format!("type={kind}");
            check(true, &[("X", &[&attribute, "online=1"]), ("BAT0", DRAINED)]);
            check(false, &[("X", &[&attribute, "online=0"]), ("BAT0", DRAINED)]);
        }
        check(true, &[("X", &["type=USB", "online=2"]), ("BAT0", DRAINED)]);
        for online in ["online=", "online=yes", "online=-1", "present=1"] {
            check(false, &[("X", &["type=Mains", online]), ("BAT0", DRAINED)]);
        }
    }

    #[test]
    fn an_uninterruptible_supply_is_a_battery() {
        check(true, &[("ups", &["type=UPS", "online=1", "status=Charging"])]);
        check(true, &[("ups", &["type=UPS", "online=0"])]);
        check(false, &[("ups", &["type=UPS", "online=1", "status=Discharging"])]);
        check(true, &[("AC", &["type=Mains", "online=1"]), ("ups", &["type=UPS", "status=Discharging"])]);
    }

    /// Returns whether a laptop with its battery in use is on mains power by a USB-C controller with ports of
    /// these roles.
    fn with_ports(roles: &[&str]) -> bool {
        let supply = ("ucsi-source-psy-1", &["type=USB", "online=1"][..]);
        let sys = sys(&[supply, ("BAT0", DRAINED)]);
        let (class, controller) = (sys.path().join("class"), sys.path().join("devices/USBC000:00"));
        fs::create_dir_all(class.join("typec")).expect("there is room");
        fs::create_dir_all(&controller).expect("there is room");
        symlink(&controller, class.join("power_supply").join(supply.0).join("device")).expect("it is new");
        let port = |name: &str, port: PathBuf, role: &str| {
            write(&port, &[&format!("power_role={role}")]);
            symlink(port, class.join("typec").join(name)).expect("it is new");
        };
        for (n, role) in roles.iter().enumerate() {
            let name = format!("port{n}");
            port(&name, controller.join("typec").join(&name), role);
        }
        // One of another controller.
        port("port9", sys.path().join("devices/USBC000:001/typec/port9"), "[source] sink");
        read(sys.path()).expect("it is read")
    }

    #[test]
    fn a_usb_supply_by_which_the_machine_feeds_others_does_not_count() {
        assert!(with_ports(&[]));
        assert!(with_ports(&["source [sink]"]));
        assert!(with_ports(&["[source] sink", "source [sink]"]));
        assert!(with_ports(&["source sink"]));
        assert!(!with_ports(&["[source] sink"]));
        assert!(!with_ports(&["[source] sink", "[source]"]));
    }

    #[test]
    fn a_shortage_of_descriptors_is_an_error_and_no_answer() {
        for (errno, is_told) in [(Errno::EMFILE, true), (Errno::ENODEV, false), (Errno::ENODATA, false)] {
            assert_eq!(is_shortage(&io::Error::from(errno)), is_told, "{errno}");
        }
    }

    #[test]
    fn a_uevent_concerns_by_its_subsystem() {
        let uevent = |subsystem: &str| {
            let path = "/devices/LNXSYSTM:00/ACPI0003:00/power_supply/AC";
            format!(
                "change@{path}\0ACTION=change\0DEVPATH={path}\0SUBSYSTEM={subsystem}\0\
                 POWER_SUPPLY_NAME=AC\0POWER_SUPPLY_TYPE=Mains\0POWER_SUPPLY_ONLINE=0\0SEQNUM=4711\0"
            )
        };
        for (subsystem, is_concerned) in
            [("power_supply", true), ("typec", true), ("net", false), ("", false)]
        {
            assert_eq!(concerns(uevent(subsystem).as_bytes(), &SUBSYSTEMS), is_concerned, "{subsystem}");
        }
        for malformed in ["", "change@/power_supply", "SUBSYSTEM=power_supply2\0", "\0\0"] {
            assert!(!concerns(malformed.as_bytes(), &SUBSYSTEMS), "{malformed:?}");
        }
    }
}
