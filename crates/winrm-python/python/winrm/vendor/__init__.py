"""Where pywinrm keeps what it has from elsewhere."""
