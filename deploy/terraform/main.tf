# The user data of a probe: give it to any cloud's machine.
#
#   module "probe" {
#     source         = "…/deploy/terraform"
#     aggregator     = "https://aggregator.example:7443"
#     token          = var.token                          # nines probe invite --region eu-west
#     package_url    = "https://…/nines-probe_0.1.0_amd64.deb"
#     package_sha256 = "…"
#     canaries       = ["dns://192.0.2.53", "tcp://192.0.2.1:443"]    # who always answers from there
#     contact        = "https://shop.example/probes"
#   }
#   resource "aws_instance" "probe" { user_data = module.probe.user_data … }

terraform {
  required_version = ">= 1.3"
}

variable "aggregator" {
  description = "Where probes talk, as `nines probe invite` prints it."
  type        = string
  validation {
    condition     = can(regex("^https://[][A-Za-z0-9.:-]+$", var.aggregator))
    error_message = "https://HOST:PORT, as `nines probe invite` prints it."
  }
}

variable "token" {
  description = "The one-time token, as `nines probe invite` prints it."
  type        = string
  sensitive   = true
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+[.][0-9A-Fa-f]{64}$", var.token))
    error_message = "The token is not one that `nines probe invite` prints."
  }
}

variable "package_url" {
  description = "Where the Debian package of nines-probe is to be had."
  type        = string
  validation {
    condition     = can(regex("^https://[^'\\s]+$", var.package_url))
    error_message = "An https:// URL."
  }
}

variable "package_sha256" {
  description = "The package's SHA-256, in hex."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.package_sha256))
    error_message = "64 hex digits."
  }
}

variable "canaries" {
  description = "Who should always answer from there, by address: where none does, a failure is the probe's own."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for canary in var.canaries : can(regex("^(dns|tcp)://[][0-9A-Fa-f.:]+$", canary))])
    error_message = "dns://IP, dns://IP:PORT or tcp://IP:PORT, with addresses and no names."
  }
}

variable "contact" {
  description = "Whom targets can write to: a page or a mailbox, in every user-agent. Empty: nobody."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^[^'\\s]*$", var.contact))
    error_message = "https://HOST/PAGE, or an address such as ops@shop.example."
  }
}

locals {
  contact = var.contact == "" ? [] : ["--contact '${var.contact}'"]
}

output "user_data" {
  description = "Cloud-init user data for one machine."
  sensitive   = true
  value = templatefile("${path.module}/cloud-init.yaml.tftpl", {
    aggregator     = var.aggregator
    token          = var.token
    package_url    = var.package_url
    package_sha256 = var.package_sha256
    join_options   = join(" ", concat([for canary in var.canaries : "--canary '${canary}'"], local.contact))
  })
}
