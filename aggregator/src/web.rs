//! Pages, API, metrics.
