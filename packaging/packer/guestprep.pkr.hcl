# Gates an image build: the build fails where an instance made from the image would not boot or could not be reached, and
# what can be mended is mended first. Packer makes the image when the provisioners are done, and throws the build's
# instance away afterwards, so that nothing has to be rolled back.
#
#   packer init . && packer validate -var guestprep=target/packages/guestprep . && packer build ...

packer {
  required_plugins {
    alicloud = {
      source  = "github.com/hashicorp/alicloud"
      version = ">= 1.1.0"
    }
  }
}

variable "guestprep" {
  type        = string
  description = "The static program (packaging/build static)"
}

variable "profile" {
  type    = string
  default = "clone"
}

variable "source_image" {
  type    = string
  default = "aliyun_3_x64_20G_alibase_20240528.vhd"
}

source "alicloud-ecs" "image" {
  image_name           = "golden-${formatdate("YYYYMMDD-hhmmss", timestamp())}"
  source_image         = var.source_image
  instance_type        = "ecs.g7.large"
  internet_charge_type = "PayByTraffic"
  io_optimized         = true
  ssh_username         = "root"
}

build {
  sources = ["source.alicloud-ecs.image"]

  # What the image is to be made of goes here, before the gate.

  provisioner "file" {
    source      = var.guestprep
    destination = "/root/guestprep"
  }

  # Exit codes: 0 ready; 1 not ready; 3 could not be told. Only 0 lets the build go on.
  provisioner "shell" {
    inline = [
      "chmod 755 /root/guestprep",
      "/root/guestprep prepare --yes --profile ${var.profile} --format json -o /root/guestprep-report.json",
    ]
    valid_exit_codes = [0]
  }

  # The evidence stays with who builds, also as an input of `guestprep fleet report`.
  provisioner "file" {
    direction   = "download"
    source      = "/root/guestprep-report.json"
    destination = "guestprep-${build.name}.json"
  }

  # The journal holds originals that a clone shall not have; it is not needed, because nothing is rolled back.
  provisioner "shell" {
    inline = ["rm -rf /root/guestprep /root/guestprep-report.json /var/lib/guestprep/runs"]
  }

  error-cleanup-provisioner "shell" {
    inline = ["/root/guestprep audit --profile ${var.profile} || true"]
  }
}
