//! Random JSON Schemas whose values are small.

use serde_json::{Map, Value, json};

/// Makes schemas, the same for the same seed.
pub(crate) struct SchemaMaker {
    random: u64,
}

impl SchemaMaker {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 16) % end as u64) as usize
    }

    /// A schema with definitions that its parts refer to, one of them recursive.
    pub(crate) fn schema(&mut self) -> Value {
        let mut root = self.object(3);
        root["$defs"] = json!({
            "leaf": self.leaf(),
            "list": {
                "type": "object",
                "properties": {
                    "value": self.leaf(),
                    "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/list"}]},
                },
                "required": ["value", "next"],
                "additionalProperties": false,
            },
        });
        root
    }

    fn any(&mut self, depth: usize) -> Value {
        if depth == 0 {
            return self.leaf();
        }
        match self.below(8) {
            0 | 1 => self.object(depth - 1),
            2 => self.array(depth - 1),
            3 => self.tuple(depth - 1),
            4 => json!({"anyOf": [self.any(depth - 1), self.leaf(), self.leaf()]}),
            5 => {
                let definition = ["#/$defs/leaf", "#/$defs/list"][self.below(2)];
                json!({"$ref": definition})
            }
            _ => self.leaf(),
        }
    }

    fn leaf(&mut self) -> Value {
        match self.below(9) {
            0 => json!({"type": "null"}),
            1 => json!({"type": "boolean"}),
            2 => self.integer(),
            3 => self.number(),
            4 => self.string(),
            5 => json!({"type": "string", "pattern": self.pattern()}),
            6 => json!({"const": self.constant()}),
            7 => json!({"enum": [self.constant(), self.constant(), "yes", "no"]}),
            _ => json!({"type": ["string", "null"], "maxLength": 6}),
        }
    }

    fn integer(&mut self) -> Value {
        let least = self.below(2000) as i64 - 1000;
        let most = least + 1 + self.below(500) as i64;
        match self.below(4) {
            0 => json!({"type": "integer", "minimum": least, "maximum": most}),
            1 => json!({"type": "integer", "exclusiveMinimum": least - 1, "maximum": most}),
            2 => json!({"type": "integer", "minimum": 0, "maximum": 900, "multipleOf": 7}),
            _ => json!({"type": "integer", "minimum": least, "exclusiveMaximum": most + 1}),
        }
    }

    fn number(&mut self) -> Value {
        let least = self.below(100) as f64 / 8.0 - 6.0;
        let most = least + 0.5 + self.below(64) as f64 / 16.0;
        json!({"type": "number", "minimum": least, "maximum": most})
    }

    fn string(&mut self) -> Value {
        let least = self.below(3);
        json!({"type": "string", "minLength": least, "maxLength": least + self.below(8)})
    }

    fn pattern(&mut self) -> &'static str {
        [
            "^[a-z]{2,5}$",
            r"^\d{3}-\d{4}$",
            "^(foo|bar|ba[zy])+$",
            "^[^a-z]{1,3}$",
            r#"^["\\/]{0,4}x$"#,
            "^é[ü-ÿ]?$",
        ][self.below(6)]
    }

    fn constant(&mut self) -> Value {
        match self.below(7) {
            0 => json!("a \"quoted\"\ttext \\ ü 日本"),
            1 => json!(-17),
            2 => json!(2.5),
            3 => json!([1, "two", null]),
            4 => json!({"key": true, "other": {}}),
            5 => json!(""),
            _ => json!("plain"),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let names = ["name", "age", "tags", "a\"b", "größe", "x y"];
        let mut properties = Map::new();
        let mut required = Vec::new();
        for name in &names[..1 + self.below(names.len())] {
            properties.insert((*name).to_owned(), self.any(depth));
            if self.below(2) == 0 {
                required.push(*name);
            }
        }
        let others = match self.below(4) {
            0 => json!({"type": "integer", "minimum": 0, "maximum": 9}),
            _ => json!(false),
        };
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": others,
        })
    }

    fn array(&mut self, depth: usize) -> Value {
        let least = self.below(3);
        json!({
            "type": "array",
            "items": self.any(depth),
            "minItems": least,
            "maxItems": least + self.below(3),
        })
    }

    fn tuple(&mut self, depth: usize) -> Value {
        json!({
            "type": "array",
            "prefixItems": [self.any(depth), self.leaf()],
            "items": false,
            "minItems": 1 + self.below(2),
        })
    }
}
