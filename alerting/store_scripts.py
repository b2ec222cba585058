"""The outbox' steps in Redis, each a Lua script and atomic; alerting/store.py says what they mean.

KEYS in every script: the alert's hash (or the root), ready, waiting, index. `ready` is ordered by gravity, `waiting` by
the end of the wait, `index` by the alert's time.
"""

from __future__ import annotations

COLUMNS = ["alert", "receipt", "failures", "not_before", "error", "begun", "case"]
FIELDS = ", ".join(f"'{name}'" for name in COLUMNS)

SETTLED = """
local function settled(key)
  local h = redis.call('HMGET', key, 'revision', 'sent', 'posted', 'case_version', 'shown', 'told')
  if not h[1] or tonumber(h[2] or -1) < tonumber(h[1]) then return false end
  if h[3] ~= '1' then return true end
  local case = h[4] or '0'
  return (h[5] or '0') == case and (h[6] or '0') == case
end
"""

PUT = """
local old = redis.call('HMGET', KEYS[1], 'revision', 'rank')
if old[1] and tonumber(old[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'alert', ARGV[6], 'revision', ARGV[2], 'rank', ARGV[3], 'order', ARGV[4])
redis.call('PERSIST', KEYS[1])
if ARGV[5] ~= '' then redis.call('ZADD', KEYS[4], ARGV[5], ARGV[1]) end
local graver = old[2] and tonumber(ARGV[3]) > tonumber(old[2])
if graver or not redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('HDEL', KEYS[1], 'not_before')
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
end
for _, id in ipairs(redis.call('ZRANDMEMBER', KEYS[4], 3)) do  -- forget what has expired, a little at a time
  if redis.call('EXISTS', ARGV[7] .. id) == 0 then redis.call('ZREM', KEYS[4], id) end
end
label(ARGV[1], ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13])
return 1
"""  # after label_store.LABEL

WAKE = """
while true do
  local ids = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1], 'LIMIT', 0, 500)
  if #ids == 0 then break end
  redis.call('ZREM', KEYS[3], unpack(ids))
  for _, id in ipairs(ids) do
    local order = redis.call('HGET', KEYS[1] .. id, 'order')
    redis.call('HDEL', KEYS[1] .. id, 'not_before')
    if order then redis.call('ZADD', KEYS[2], order, id) end
  end
end
"""

DUE = f"""
{WAKE}
local limit = tonumber(ARGV[2])
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '+inf', 'LIMIT', 0, limit)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '+inf', 'LIMIT', 0, limit - #ids)) do
  ids[#ids + 1] = id
end
local found = {{}}
for _, id in ipairs(ids) do found[#found + 1] = redis.call('HMGET', KEYS[1] .. id, {FIELDS}) end
return found
"""

RECEIPT = f"""
{SETTLED}
local have = redis.call('HMGET', KEYS[1], 'revision', 'sent', 'order')
if not have[1] then return 0 end
local sent = tonumber(have[2] or -1)
if tonumber(ARGV[2]) >= sent then
  redis.call('HSET', KEYS[1], 'sent', ARGV[2], 'receipt', ARGV[3])
  redis.call('HSET', KEYS[1], 'posted', ARGV[5], 'shown', ARGV[6], 'told', ARGV[7])
end
redis.call('HDEL', KEYS[1], 'failures', 'not_before', 'error', 'begun')
redis.call('ZREM', KEYS[3], ARGV[1])
if settled(KEYS[1]) then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[4])
else
  redis.call('ZADD', KEYS[2], have[3], ARGV[1])
end
return 1
"""

BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'receipt') == 1 then return 0 end
if (redis.call('HGET', KEYS[1], 'begun') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'begun', ARGV[1])
return 1
"""

LOST = """
local order = redis.call('HGET', KEYS[1], 'order')
if not order then return 0 end
if ARGV[2] then
  local noted = redis.call('HGET', KEYS[1], 'receipt')
  local shown = noted and cmsgpack.unpack(noted)
  if not shown or shown.channel ~= ARGV[2] or shown.message_id ~= ARGV[3] then return 0 end
end
redis.call('HDEL', KEYS[1], 'receipt', 'sent', 'begun', 'posted', 'shown', 'told')
redis.call('PERSIST', KEYS[1])
if not redis.call('ZSCORE', KEYS[3], ARGV[1]) then redis.call('ZADD', KEYS[2], order, ARGV[1]) end
return 1
"""

PUT_OFF = f"""
{SETTLED}
local have = redis.call('HMGET', KEYS[1], 'revision', 'sent')
if not have[1] or settled(KEYS[1]) or tonumber(have[2] or -1) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'not_before', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'error', ARGV[4])
  redis.call('HINCRBY', KEYS[1], 'failures', 1)
  if ARGV[5] == '' then redis.call('HDEL', KEYS[1], 'begun') end
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
return 1
"""

SAVE_CASE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'case_version') or 0) ~= tonumber(ARGV[1]) - 1 then return 0 end
redis.call('HSET', KEYS[1], 'case', ARGV[2], 'case_version', ARGV[1])
local have = redis.call('HMGET', KEYS[1], 'posted', 'order')
if have[1] == '1' then  -- its message shows where it stands
  redis.call('HDEL', KEYS[1], 'not_before')
  redis.call('PERSIST', KEYS[1])
  redis.call('ZREM', KEYS[3], ARGV[3])
  redis.call('ZADD', KEYS[2], have[2], ARGV[3])
end
label(ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9])
return 1
"""  # after label_store.LABEL

LIST = f"""
local found = {{}}
for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[4], '+inf', '-inf', 'LIMIT', 0, ARGV[1])) do
  found[#found + 1] = redis.call('HMGET', KEYS[1] .. id, {FIELDS})
end
return found
"""

SPEND = """
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return 1 end
if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""  # KEYS: the purse alone

OWE = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""  # KEYS: what is owed alone

HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""  # KEYS: the lease alone

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""  # KEYS: the lease alone
