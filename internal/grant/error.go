package grant
