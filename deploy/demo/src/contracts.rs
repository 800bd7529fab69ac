//! The contracts and schemas of the flight domains, as the binary carries them.

use std::path::Path;

macro_rules! contracts {
    ($($name:literal),+ $(,)?) => {
        /// Name, contract (YAML) and schema (Avro) of each product.
        pub(crate) const CONTRACTS: &[(&str, &str, &str)] = &[$((
            $name,
            include_str!(concat!("../../../schemas/flights/", $name, ".odcs.yaml")),
            include_str!(concat!("../../../schemas/flights/", $name, ".avsc")),
        )),+];
    };
}

contracts!(
    "fleet.aircraft",
    "meteorology.observations",
    "network.airlines",
    "network.airports",
    "operations.arrivals",
    "operations.cancellations",
    "operations.departures",
);

/// Writes them into `dir`, as a domain's repository would have them.
///
/// # Errors
/// A file can't be written.
pub(crate) fn write_to(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for (name, contract, schema) in CONTRACTS {
        std::fs::write(dir.join(format!("{name}.odcs.yaml")), contract)?;
        std::fs::write(dir.join(format!("{name}.avsc")), schema)?;
    }
    Ok(())
}
