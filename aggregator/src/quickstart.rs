//! `nines quickstart`: the whole product on one machine in two minutes.
