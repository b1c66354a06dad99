-- Health of a MarketplaceAccount for Argo CD. An account that waits for a person's first sign-in, or that its author has suspended, has not failed.
-- One that is Ready and needs a sign-in had a token that the marketplace refuses now.
local health = {status = "Progressing", message = "Waiting for the operator"}
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "Waiting for the operator to look at the new spec"
  return health
end
local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local ready, stalled, authenticated = conditions["Ready"], conditions["Stalled"], conditions["Authenticated"]
if stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
  local first = stalled.reason == "SignInRequired" and (ready == nil or ready.status ~= "True")
  if first or stalled.reason == "Suspended" then
    health.status = "Suspended"
  end
  health.message = stalled.reason .. ": " .. (stalled.message or "")
  return health
end
if ready ~= nil and ready.status == "True" then
  health.status = "Healthy"
  if obj.spec.renewal ~= nil and obj.spec.renewal.policy == "Suspended" then
    health.status = "Suspended"
  end
  if authenticated ~= nil then
    health.message = authenticated.message
  end
  return health
end
if ready ~= nil then
  health.message = ready.reason .. ": " .. (ready.message or "")
end
return health
